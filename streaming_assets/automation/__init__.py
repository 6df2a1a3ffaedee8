"""What starts runs: jobs, the object sensor, the schedules."""
