"""What the conformance cases stand on: installation, sandbox, server, SDK drivers, test PKI, runner."""
