"""The record of all that happened: ordered, durable, idempotent."""
