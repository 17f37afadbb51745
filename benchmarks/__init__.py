"""Speed and memory of resto beside django-resto 1.3, in one run."""
