"""Whole proxies under load: the gateway and its peers, side by side on one machine."""
