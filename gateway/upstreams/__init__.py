"""Where requests go: what is known of services beyond their configuration."""
