"""Which lists to read: companies, data types, bank accounts, and an estimate of what reading them costs."""
