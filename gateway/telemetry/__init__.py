"""What the gateway tells about itself: application log, access log, metrics."""
