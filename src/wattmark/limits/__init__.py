"""Power limits of this machine: what can be capped, set while a keeper sees to it that the old cap comes back, and put back
by the next command where the keeper was killed too. Standard library only; may import sources and recorder."""
