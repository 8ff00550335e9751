"""What `driftloop doctor` asks of Azure."""
