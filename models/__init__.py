"""The component library: encoders, decoders, losses and the training of one model that answers every task."""
