"""Reading what is published: fetch, parse, detect."""
