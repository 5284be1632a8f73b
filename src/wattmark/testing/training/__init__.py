"""For those who write energy callbacks: the contract that ours pass, as tests."""
