"""The theory of learning's information dynamics, held against records of any trainer.

Nothing here imports ``ibdyn`` or torch: a Dataset with the variables of the record's schema is
all that it asks for.
"""
