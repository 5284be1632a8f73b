"""What a team's store has beside runs: users with roles, tokens of projects, rules of retention, batches of nodes, and the
way from one store to another. Administrators' work; what measures imports none of it."""
