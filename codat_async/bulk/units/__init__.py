"""What all stages speak of: the units that are pulled, how they fail, and what a record is known by."""
