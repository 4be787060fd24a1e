import Prim "mo:⛔";

persistent actor {
  type Node = { data : [var Nat8]; next : ?Node };
  transient var list : ?Node = null;
  public func leak(size : Nat) : async () {
    list := ?{ data = Prim.Array_init<Nat8>(size, 1); next = list };
  };
  public func drop() : async () { list := null };
  public query func stats() : async { memory : Nat; heap : Nat } {
    { memory = Prim.rts_memory_size(); heap = Prim.rts_heap_size() };
  };
};
