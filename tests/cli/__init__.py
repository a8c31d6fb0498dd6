"""The operator's door: what each verb prints, where, and with which exit code."""
