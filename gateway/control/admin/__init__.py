"""The admin API. Imported late: it comes with the store, and nothing that serves waits for it."""
