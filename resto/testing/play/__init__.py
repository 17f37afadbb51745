"""A site to play with: three hosts that can be stopped, frozen and wiped by clicking, and a watching process; ``make play``."""
