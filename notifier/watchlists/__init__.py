"""What subscribers want to hear about: text rules, queries, and the index that matches them."""
