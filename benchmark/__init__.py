"""From files on disk to scores: catalogue, layouts, metrics, jobs and the suite command."""
