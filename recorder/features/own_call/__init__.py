"""A person's own call: whoever was recorded opens one recording with a code that the customer gave them and
one that is spoken to the number that took part."""
