persistent actor {
  var count : Nat = 0;
  public func inc() : async Nat { count += 1; count };
  public func twice() : async Nat { ignore await inc(); await inc() };
  public query func get() : async Nat { count };
  public query func hello(name : Text) : async Text { "Hello, " # name # "!" };
  public query func sum(numbers : [Nat]) : async { total : Nat; least : ?Nat } {
    var total = 0;
    var least : ?Nat = null;
    for (number in numbers.vals()) {
      total += number;
      least := switch least { case (?l) if (l < number) ?l else ?number; case null ?number };
    };
    { total; least };
  };
};
