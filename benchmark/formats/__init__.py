"""Readers and writers, one module per on-disk layout; scores are computed elsewhere."""
