"""Who is calling: tokens, API keys, passwords, second factors."""
