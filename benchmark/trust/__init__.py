"""What stands between a score and its printing: laws that it must obey, and what a suspicious one comes from."""
