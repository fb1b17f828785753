"""The pages for people. They load nothing from anywhere else."""
