; Twelve functions as docs/ABI.md wants them, by hand: what a generator over LLVM would write.
; llc of each supported LLVM turns this file into an object; abi_test.c runs it and check_object
; looks at its instructions. "; ud2: N" above a function is the number of trap sites it must keep.
target triple = "x86_64-unknown-linux-gnu"

%ret = type { i64, <2 x double> }

declare void @llvm.trap() #1

; 0: i64 and f64 parameters alternating, 20 of them: five and eight in registers, the others in
; args[i]. Result: the sum of parameter i times (i + 1), as i64; traps when it is zero.
; ud2: 1
define %ret @many_params(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %state = load ptr, ptr %vm
  ; integers 0 2 4 6 8 are in registers, 10 12 14 16 18 in slots
  %p10 = getelementptr i8, ptr %state, i64 288
  %i5 = load i64, ptr %p10
  %p12 = getelementptr i8, ptr %state, i64 320
  %i6 = load i64, ptr %p12
  %p14 = getelementptr i8, ptr %state, i64 352
  %i7 = load i64, ptr %p14
  %p16 = getelementptr i8, ptr %state, i64 384
  %i8 = load i64, ptr %p16
  %p18 = getelementptr i8, ptr %state, i64 416
  %i9 = load i64, ptr %p18
  ; floats 1 3 5 7 9 11 13 15 are in registers, 17 19 in slots
  %p17 = getelementptr i8, ptr %state, i64 400
  %d8 = load double, ptr %p17
  %p19 = getelementptr i8, ptr %state, i64 432
  %d9 = load double, ptr %p19
  %d0 = extractelement <2 x double> %f0, i64 0
  %d1 = extractelement <2 x double> %f1, i64 0
  %d2 = extractelement <2 x double> %f2, i64 0
  %d3 = extractelement <2 x double> %f3, i64 0
  %d4 = extractelement <2 x double> %f4, i64 0
  %d5 = extractelement <2 x double> %f5, i64 0
  %d6 = extractelement <2 x double> %f6, i64 0
  %d7 = extractelement <2 x double> %f7, i64 0
  %m1 = mul i64 %i1, 3
  %m2 = mul i64 %i2, 5
  %m3 = mul i64 %i3, 7
  %m4 = mul i64 %i4, 9
  %m5 = mul i64 %i5, 11
  %m6 = mul i64 %i6, 13
  %m7 = mul i64 %i7, 15
  %m8 = mul i64 %i8, 17
  %m9 = mul i64 %i9, 19
  %s1 = add i64 %i0, %m1
  %s2 = add i64 %s1, %m2
  %s3 = add i64 %s2, %m3
  %s4 = add i64 %s3, %m4
  %s5 = add i64 %s4, %m5
  %s6 = add i64 %s5, %m6
  %s7 = add i64 %s6, %m7
  %s8 = add i64 %s7, %m8
  %s9 = add i64 %s8, %m9
  %n0 = fmul double %d0, 2.0
  %n1 = fmul double %d1, 4.0
  %n2 = fmul double %d2, 6.0
  %n3 = fmul double %d3, 8.0
  %n4 = fmul double %d4, 10.0
  %n5 = fmul double %d5, 12.0
  %n6 = fmul double %d6, 14.0
  %n7 = fmul double %d7, 16.0
  %n8 = fmul double %d8, 18.0
  %n9 = fmul double %d9, 20.0
  %t1 = fadd double %n0, %n1
  %t2 = fadd double %t1, %n2
  %t3 = fadd double %t2, %n3
  %t4 = fadd double %t3, %n4
  %t5 = fadd double %t4, %n5
  %t6 = fadd double %t5, %n6
  %t7 = fadd double %t6, %n7
  %t8 = fadd double %t7, %n8
  %t9 = fadd double %t8, %n9
  %whole = fptosi double %t9 to i64
  %sum = add i64 %s9, %whole
  %zero = icmp eq i64 %sum, 0
  br i1 %zero, label %trap, label %good
good:
  %r = insertvalue %ret poison, i64 %sum, 0
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

; 1: five results of every kind: i64 in rax, then f64, i32, f32 and v128 in results[1..4].
; Traps on a negative parameter.
; ud2: 1
define %ret @many_results(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %negative = icmp slt i64 %i0, 0
  br i1 %negative, label %trap, label %good
good:
  %state = load ptr, ptr %vm
  %d = sitofp i64 %i0 to double
  %r1 = getelementptr i8, ptr %state, i64 16144
  store double %d, ptr %r1
  %low = and i64 %i0, 4294967295
  %r2 = getelementptr i8, ptr %state, i64 16160
  store i64 %low, ptr %r2
  %s = fptrunc double %d to float
  %r3 = getelementptr i8, ptr %state, i64 16176
  store float %s, ptr %r3
  %v = insertelement <2 x i64> <i64 7, i64 9>, i64 %i0, i64 1
  %r4 = getelementptr i8, ptr %state, i64 16192
  store <2 x i64> %v, ptr %r4
  %next = add i64 %i0, 1
  %r = insertvalue %ret poison, i64 %next, 0
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

; 2: result 0 is f32: xmm0's low lane. f32 parameter times two; traps on NaN.
; ud2: 1
define %ret @float_result(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %lanes = bitcast <2 x double> %f0 to <4 x float>
  %x = extractelement <4 x float> %lanes, i64 0
  %nan = fcmp uno float %x, %x
  br i1 %nan, label %trap, label %good
good:
  %y = fadd float %x, %x
  %v = insertelement <4 x float> poison, float %y, i64 0
  %w = bitcast <4 x float> %v to <2 x double>
  %r = insertvalue %ret poison, <2 x double> %w, 1
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

; 3: tail call from one parameter to the twenty of many_params, all equal to it.
; Traps on 13 before it.
; ud2: 1
define %ret @tail_wide(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %bad = icmp eq i64 %i0, 13
  br i1 %bad, label %trap, label %good
good:
  %state = load ptr, ptr %vm
  %p10 = getelementptr i8, ptr %state, i64 288
  store i64 %i0, ptr %p10
  %p12 = getelementptr i8, ptr %state, i64 320
  store i64 %i0, ptr %p12
  %p14 = getelementptr i8, ptr %state, i64 352
  store i64 %i0, ptr %p14
  %p16 = getelementptr i8, ptr %state, i64 384
  store i64 %i0, ptr %p16
  %p18 = getelementptr i8, ptr %state, i64 416
  store i64 %i0, ptr %p18
  %d = sitofp i64 %i0 to double
  %p17 = getelementptr i8, ptr %state, i64 400
  store double %d, ptr %p17
  %p19 = getelementptr i8, ptr %state, i64 432
  store double %d, ptr %p19
  %v = insertelement <2 x double> poison, double %d, i64 0
  %r = musttail call %ret @many_params(ptr %vm, i64 %i0, i64 %i0, i64 %i0, i64 %i0, i64 %i0, <2 x double> %v, <2 x double> %v, <2 x double> %v, <2 x double> %v, <2 x double> %v, <2 x double> %v, <2 x double> %v, <2 x double> %v)
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

; 4: tail call from eight integer parameters (three in slots) to one: their sum to many_results.
; Traps when the first is 13.
; ud2: 1
define %ret @tail_narrow(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %bad = icmp eq i64 %i0, 13
  br i1 %bad, label %trap, label %good
good:
  %state = load ptr, ptr %vm
  %p5 = getelementptr i8, ptr %state, i64 208
  %i5 = load i64, ptr %p5
  %p6 = getelementptr i8, ptr %state, i64 224
  %i6 = load i64, ptr %p6
  %p7 = getelementptr i8, ptr %state, i64 240
  %i7 = load i64, ptr %p7
  %s1 = add i64 %i0, %i1
  %s2 = add i64 %s1, %i2
  %s3 = add i64 %s2, %i3
  %s4 = add i64 %s3, %i4
  %s5 = add i64 %s4, %i5
  %s6 = add i64 %s5, %i6
  %s7 = add i64 %s6, %i7
  %r = musttail call %ret @many_results(ptr %vm, i64 %s7, i64 poison, i64 poison, i64 poison, i64 poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison)
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

; 5: two functions that call each other in tail position n times; any growth of the stack would
; show. The one has a slot parameter (index 5) and a frame of 512 bytes, the other neither.
; The slot counts the rounds; traps when the counter starts negative.
; ud2: 1
define %ret @tail_ping(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %frame = alloca [64 x i64]
  %state = load ptr, ptr %vm
  %p5 = getelementptr i8, ptr %state, i64 208
  %rounds = load i64, ptr %p5
  %negative = icmp slt i64 %rounds, 0
  br i1 %negative, label %trap, label %good
good:
  %slot = getelementptr [64 x i64], ptr %frame, i64 0, i64 7
  store volatile i64 %i0, ptr %slot
  %n = load volatile i64, ptr %slot
  %done = icmp eq i64 %n, 0
  br i1 %done, label %finish, label %more
finish:
  %r0 = insertvalue %ret poison, i64 %rounds, 0
  ret %ret %r0
more:
  %next = add i64 %rounds, 1
  %r = musttail call %ret @tail_pong(ptr %vm, i64 %n, i64 %next, i64 poison, i64 poison, i64 poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison)
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

; ud2: 1
define %ret @tail_pong(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %zero = icmp eq i64 %i0, 0
  br i1 %zero, label %trap, label %good
good:
  %state = load ptr, ptr %vm
  %p5 = getelementptr i8, ptr %state, i64 208
  store i64 %i1, ptr %p5
  %n = sub i64 %i0, 1
  %r = musttail call %ret @tail_ping(ptr %vm, i64 %n, i64 poison, i64 poison, i64 poison, i64 poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison)
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

; 6: call_indirect of table 0 with type 0: element %i1 with the i64 parameter %i0; the result plus
; one. Traps: bounds, null, type, in the specification's order.
; ud2: 3
define %ret @indirect(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %tables_at = getelementptr i8, ptr %vm, i64 48
  %tables = load ptr, ptr %tables_at
  %table = load ptr, ptr %tables
  %size_at = getelementptr i8, ptr %table, i64 8
  %size = load i64, ptr %size_at
  %inside = icmp ult i64 %i1, %size
  br i1 %inside, label %read, label %outside
read:
  %elements = load ptr, ptr %table
  %element_at = getelementptr ptr, ptr %elements, i64 %i1
  %record = load ptr, ptr %element_at
  %null = icmp eq ptr %record, null
  br i1 %null, label %empty, label %typed
typed:
  %ids_at = getelementptr i8, ptr %vm, i64 32
  %ids = load ptr, ptr %ids_at
  %want = load i32, ptr %ids
  %id_at = getelementptr i8, ptr %record, i64 16
  %id = load i32, ptr %id_at
  %same = icmp eq i32 %id, %want
  br i1 %same, label %good, label %mistyped
good:
  %code = load ptr, ptr %record
  %callee_at = getelementptr i8, ptr %record, i64 8
  %callee = load ptr, ptr %callee_at
  %r = call %ret %code(ptr %callee, i64 %i0, i64 poison, i64 poison, i64 poison, i64 poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison)
  %value = extractvalue %ret %r, 0
  %next = add i64 %value, 1
  %r1 = insertvalue %ret poison, i64 %next, 0
  ret %ret %r1
outside:
  call void @llvm.trap() #1
  unreachable
empty:
  call void @llvm.trap() #1
  unreachable
mistyped:
  call void @llvm.trap() #1
  unreachable
}

; 7: return_call_indirect: as above without the addition, the callee takes this frame's place.
; ud2: 3
define %ret @tail_indirect(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %tables_at = getelementptr i8, ptr %vm, i64 48
  %tables = load ptr, ptr %tables_at
  %table = load ptr, ptr %tables
  %size_at = getelementptr i8, ptr %table, i64 8
  %size = load i64, ptr %size_at
  %inside = icmp ult i64 %i1, %size
  br i1 %inside, label %read, label %outside
read:
  %elements = load ptr, ptr %table
  %element_at = getelementptr ptr, ptr %elements, i64 %i1
  %record = load ptr, ptr %element_at
  %null = icmp eq ptr %record, null
  br i1 %null, label %empty, label %typed
typed:
  %ids_at = getelementptr i8, ptr %vm, i64 32
  %ids = load ptr, ptr %ids_at
  %want = load i32, ptr %ids
  %id_at = getelementptr i8, ptr %record, i64 16
  %id = load i32, ptr %id_at
  %same = icmp eq i32 %id, %want
  br i1 %same, label %good, label %mistyped
good:
  %code = load ptr, ptr %record
  %callee_at = getelementptr i8, ptr %record, i64 8
  %callee = load ptr, ptr %callee_at
  %r = musttail call %ret %code(ptr %callee, i64 %i0, i64 poison, i64 poison, i64 poison, i64 poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison)
  ret %ret %r
outside:
  call void @llvm.trap() #1
  unreachable
empty:
  call void @llvm.trap() #1
  unreachable
mistyped:
  call void @llvm.trap() #1
  unreachable
}

; 8: imported function 0 (host call), three results: (r0 i64) + (r1 f64) + (r2 i64), with values kept
; across the call. Traps when the host gave a negative r2.
; ud2: 1
define %ret @host_call(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %code_at = getelementptr i8, ptr %vm, i64 128
  %code = load ptr, ptr %code_at
  %callee_at = getelementptr i8, ptr %vm, i64 136
  %callee = load ptr, ptr %callee_at
  %r = call %ret %code(ptr %callee, i64 %i0, i64 poison, i64 poison, i64 poison, i64 poison, <2 x double> %f0, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison)
  %state = load ptr, ptr %vm
  %r1_at = getelementptr i8, ptr %state, i64 16144
  %r1 = load double, ptr %r1_at
  %r2_at = getelementptr i8, ptr %state, i64 16160
  %r2 = load i64, ptr %r2_at
  %negative = icmp slt i64 %r2, 0
  br i1 %negative, label %trap, label %good
good:
  %r0 = extractvalue %ret %r, 0
  %whole = fptosi double %r1 to i64
  %s1 = add i64 %r0, %whole
  %s2 = add i64 %s1, %r2
  %s3 = add i64 %s2, %i1
  %s4 = add i64 %s3, %i2
  %s5 = add i64 %s4, %i3
  %s6 = add i64 %s5, %i4
  %d7 = extractelement <2 x double> %f7, i64 0
  %kept = fptosi double %d7 to i64
  %s7 = add i64 %s6, %kept
  %out = insertvalue %ret poison, i64 %s7, 0
  ret %ret %out
trap:
  call void @llvm.trap() #1
  unreachable
}

; 9: guard form: i64 at base + zext(address) + 8, plus one, written back; faults past the end. The
; accesses are volatile: LLVM may not move, merge or drop an access that can trap.
; ud2: 0
define %ret @guarded(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %base_at = getelementptr i8, ptr %vm, i64 8
  %base = load ptr, ptr %base_at
  %address = and i64 %i0, 4294967295
  %at = getelementptr i8, ptr %base, i64 %address
  %at8 = getelementptr i8, ptr %at, i64 8
  %old = load volatile i64, ptr %at8, align 1
  %new = add i64 %old, 1
  store volatile i64 %new, ptr %at8, align 1
  %r = insertvalue %ret poison, i64 %old, 0
  ret %ret %r
}

; 10: explicit form of the same with its trap out of line.
; ud2: 1
define %ret @checked(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %memory_at = getelementptr i8, ptr %vm, i64 16
  %memory = load ptr, ptr %memory_at
  %size_at = getelementptr i8, ptr %memory, i64 8
  %size = load i64, ptr %size_at
  %address = and i64 %i0, 4294967295
  %end = add i64 %address, 16
  %inside = icmp ule i64 %end, %size
  br i1 %inside, label %good, label %trap
good:
  %base = load ptr, ptr %memory
  %at = getelementptr i8, ptr %base, i64 %address
  %at8 = getelementptr i8, ptr %at, i64 8
  %old = load i64, ptr %at8, align 1
  %new = add i64 %old, 1
  store i64 %new, ptr %at8, align 1
  %r = insertvalue %ret poison, i64 %old, 0
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

; 11: a recursive function with the stack check in its prologue, a poll in its loop and a builtin:
; sum of 1..n by recursion, each level polling twice, then memory.grow of memory 0 by n pages at the
; bottom. LLVM knows its frame size only afterwards, so the check subtracts a constant that frames
; are held to (.stack_sizes tells). Traps when memory.grow fails.
; ud2: 1
define %ret @recurse(ptr %vm, i64 %i0, i64 %i1, i64 %i2, i64 %i3, i64 %i4, <2 x double> %f0, <2 x double> %f1, <2 x double> %f2, <2 x double> %f3, <2 x double> %f4, <2 x double> %f5, <2 x double> %f6, <2 x double> %f7) #0 {
  %state = load ptr, ptr %vm
  %limit = load volatile i64, ptr %state
  %sp = call i64 @llvm.read_register.i64(metadata !0)
  %low = sub i64 %sp, 1024
  %over = icmp ult i64 %low, %limit
  %builtins_at = getelementptr i8, ptr %vm, i64 24
  %builtins = load ptr, ptr %builtins_at
  br i1 %over, label %slow, label %body, !prof !1
slow:
  %poll = load ptr, ptr %builtins
  call preserve_allcc void %poll(ptr %vm)
  br label %body
body:
  br label %loop
loop:
  %k = phi i64 [ 0, %body ], [ %k1, %polled ]
  %interrupt_at = getelementptr i8, ptr %state, i64 16
  %interrupt = load volatile i32, ptr %interrupt_at
  %asked = icmp ne i32 %interrupt, 0
  br i1 %asked, label %pause, label %polled, !prof !1
pause:
  %poll2 = load ptr, ptr %builtins
  call preserve_allcc void %poll2(ptr %vm)
  br label %polled
polled:
  %k1 = add i64 %k, 1
  %again = icmp ult i64 %k1, 2
  br i1 %again, label %loop, label %after
after:
  %bottom = icmp eq i64 %i0, 0
  br i1 %bottom, label %grow, label %deeper
grow:
  %grow_at = getelementptr ptr, ptr %builtins, i64 1
  %grow_code = load ptr, ptr %grow_at
  %old = call i64 %grow_code(ptr %vm, i64 0, i64 %i1)
  %failed = icmp eq i64 %old, 4294967295
  br i1 %failed, label %trap, label %grown
grown:
  %r0 = insertvalue %ret poison, i64 %old, 0
  ret %ret %r0
deeper:
  %n = sub i64 %i0, 1
  %below = call %ret @recurse(ptr %vm, i64 %n, i64 %i1, i64 poison, i64 poison, i64 poison, <2 x double> %f0, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison, <2 x double> poison)
  %sum = extractvalue %ret %below, 0
  %more = add i64 %sum, %i0
  %r = insertvalue %ret poison, i64 %more, 0
  ret %ret %r
trap:
  call void @llvm.trap() #1
  unreachable
}

declare i64 @llvm.read_register.i64(metadata)

attributes #0 = { nounwind noredzone "frame-pointer"="all" }
attributes #1 = { cold noreturn nounwind nomerge }

!0 = !{!"rsp"}
!1 = !{!"branch_weights", i32 1, i32 2000}
