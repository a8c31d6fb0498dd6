"""Reading what operators write by hand: TOML with its lines, checked word by word, secrets put in last."""
