# Every target forwards to dev.py, which sets up what it needs and says so. Any Python 3 may start it.
PYTHON ?= python3

.PHONY: help demo test lint bench
help demo test lint bench:
	@$(PYTHON) dev.py $@ $(ARGS)

.DEFAULT_GOAL := help
