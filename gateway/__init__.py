"""An API gateway: a Python control plane over a compiled data plane."""
