"""What does the bus cost, and beside what? `parts` says what is measured, `safebus bench` runs it."""
