"""Pages for those who get what we send: the small door that they answer through."""
