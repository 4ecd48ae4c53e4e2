"""What is asked of the records for each claim; `theory.claims` is the public room."""
