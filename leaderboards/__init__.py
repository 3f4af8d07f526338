"""From predictions to an archive that an evaluation server accepts: write it, and find everything wrong with one."""
