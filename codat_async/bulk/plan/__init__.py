"""Which lists to read: companies, data types, units, and what reading them will cost."""
