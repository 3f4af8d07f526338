"""How a fresh clone gets its environment: system check, numbered stages, mmcv's compiled operators, verification.

Standard library only: all of it runs before anything is installed. The command is `benchmark/environment.py`.
"""
