"""What is kept: deliveries, runs, jobs, steps and annotations in a database, logs in files."""
