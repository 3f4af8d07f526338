"""From a finished run to tables, plots, pages and verdicts. Reads run directories; never runs a model."""
