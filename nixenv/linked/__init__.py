"""Layout ``linked``: a virtual environment and a CUDA toolkit root made of links (docs/linked.md).

Where the farms of an inventory lie is known before they are there (`place`), so the plan of the
environment stays pure. What they hold is planned too (`virtualenv`, `toolkit`, both on `tree`);
only `farm` writes.
"""
