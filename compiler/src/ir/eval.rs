//! The reference evaluator: runs IR without a compiler, as the oracle for passes and emitters.
