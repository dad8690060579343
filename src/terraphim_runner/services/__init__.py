"""Long-lived work as small idempotent steps from stored state: take in, advance, run, look after what a crash left."""
