"""The operator's files: settings, subscribers, packs of terms, and where the log lies."""
