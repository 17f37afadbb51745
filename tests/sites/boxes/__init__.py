"""Three boxes, each of which runs the site and serves media, with one database."""
