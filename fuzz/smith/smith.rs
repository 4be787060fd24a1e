//! Valid modules from seeds, by wasm-smith:
//!
//!     smith CONFIG FOLDER FIRST_SEED COUNT
//!
//! writes FOLDER/CONFIG-SEED.wasm. The same seed makes the same module. Every module ends by
//! itself, has no NaN that engines may choose, and exports all it has.
use arbitrary::Unstructured;
use wasm_smith::{Config, InstructionKind, InstructionKinds, Module};

/// Runs out before a chain of calls could fill a stack of 1.5 MiB.
const FUEL: u32 = 500;
const RANDOM_BYTES: usize = 6000;

/// (module (import "e" "h" (func (param i32 i64) (result i64)))
///         (import "e" "f" (func (param f64) (result f32))) (import "e" "n" (func))
///         (import "e" "g" (global i32)) (import "e" "k" (global i64)))
const IMPORTS: &[u8] = &[
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0f, 0x03, 0x60, 0x02, 0x7f, 0x7e, 0x01,
    0x7e, 0x60, 0x01, 0x7c, 0x01, 0x7d, 0x60, 0x00, 0x00, 0x02, 0x21, 0x05, 0x01, 0x65, 0x01, 0x68,
    0x00, 0x00, 0x01, 0x65, 0x01, 0x66, 0x00, 0x01, 0x01, 0x65, 0x01, 0x6e, 0x00, 0x02, 0x01, 0x65,
    0x01, 0x67, 0x03, 0x7f, 0x00, 0x01, 0x65, 0x01, 0x6b, 0x03, 0x7e, 0x00,
];

/// What all have: small memories and tables, no proposal beyond the MVP.
fn mvp() -> Config {
    let mut config = Config::default();
    config.available_imports = Some(IMPORTS.to_vec());
    config.export_everything = true;
    config.canonicalize_nans = true;
    config.allowed_instructions = InstructionKinds::all();
    config.max_instructions = 150;
    config.min_funcs = 2;
    config.max_funcs = 8;
    config.max_globals = 12;
    config.max_imports = 5;
    config.max_data_segments = 8;
    config.max_element_segments = 8;
    config.max_types = 12;
    config.max_values = 8;
    config.max_memory32_bytes = 4 << 16;
    config.max_memory64_bytes = 4 << 16;
    config.memory_max_size_required = true;
    config.max_table_elements = 60;
    config.table_max_size_required = true;
    config.min_tables = 1;
    config.min_memories = 1;
    // Half of all accesses lie in the first page.
    config.memory_offset_choices = wasm_smith::MemoryOffsetChoices(90, 8, 2);
    for switch in [
        &mut config.bulk_memory_enabled,
        &mut config.exceptions_enabled,
        &mut config.gc_enabled,
        &mut config.compact_imports_enabled,
        &mut config.memory64_enabled,
        &mut config.multi_value_enabled,
        &mut config.reference_types_enabled,
        &mut config.relaxed_simd_enabled,
        &mut config.saturating_float_to_int_enabled,
        &mut config.sign_extension_ops_enabled,
        &mut config.simd_enabled,
        &mut config.tail_call_enabled,
        &mut config.threads_enabled,
        &mut config.wide_arithmetic_enabled,
        &mut config.extended_const_enabled,
    ] {
        *switch = false;
    }
    config
}

fn wasm_2_0() -> Config {
    let mut config = mvp();
    config.bulk_memory_enabled = true;
    config.multi_value_enabled = true;
    config.reference_types_enabled = true;
    config.saturating_float_to_int_enabled = true;
    config.sign_extension_ops_enabled = true;
    config.max_tables = 3;
    config
}

fn configuration(name: &str) -> Option<Config> {
    let mut config = if name == "mvp" || name == "multi-value" || name == "bulk" {
        mvp()
    } else {
        wasm_2_0()
    };
    match name {
        "mvp" | "references" => {}
        "multi-value" => config.multi_value_enabled = true,
        "bulk" => config.bulk_memory_enabled = true,
        "untrapped" => config.disallow_traps = true,
        "tail-calls" => config.tail_call_enabled = true,
        "extended-const" => config.extended_const_enabled = true,
        "multi-memory" => {
            config.max_memories = 4;
            config.min_memories = 2;
        }
        "memory64" => config.memory64_enabled = true,
        // Nothing to calculate with: operands come from globals and locals, for the instructions that
        // take three of them and are rare otherwise.
        "moves" => {
            config.allowed_instructions = InstructionKinds::new(&[
                InstructionKind::Variable,
                InstructionKind::MemoryInt,
                InstructionKind::Reference,
                InstructionKind::Control,
            ]);
            config.memory64_enabled = true;
            config.max_memories = 2;
            config.max_data_segments = 2;
            config.max_element_segments = 2;
            config.max_instructions = 400;
        }
        "integers" => {
            config.allow_floats = false;
            config.allowed_instructions = InstructionKinds::new(&[
                InstructionKind::NumericInt,
                InstructionKind::Parametric,
                InstructionKind::Variable,
                InstructionKind::MemoryInt,
                InstructionKind::Control,
            ]);
            config.max_instructions = 1000;
            config.disallow_traps = true;
        }
        "all" | "all-untrapped" => {
            config.tail_call_enabled = true;
            config.extended_const_enabled = true;
            config.memory64_enabled = true;
            config.max_memories = 3;
            config.disallow_traps = name == "all-untrapped";
        }
        _ => return None,
    }
    Some(config)
}

/// splitmix64: the same bytes for a seed on every machine.
fn random_bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
    let mut bytes = Vec::with_capacity(RANDOM_BYTES);
    while bytes.len() < RANDOM_BYTES {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let numbers: Vec<u64> = words.iter().skip(3).filter_map(|word| word.parse().ok()).collect();
    let (Some(name), Some(folder), [first, count]) = (words.get(1), words.get(2), &numbers[..])
    else {
        eprintln!("usage: smith CONFIG FOLDER FIRST_SEED COUNT");
        std::process::exit(2);
    };
    let Some(config) = configuration(name) else {
        eprintln!("smith: no configuration {name}");
        std::process::exit(2);
    };
    for seed in *first..first + count {
        let bytes = random_bytes(seed);
        let mut module = Module::new(config.clone(), &mut Unstructured::new(&bytes)).expect("module");
        module.ensure_termination(FUEL).expect("every function was generated");
        let path = format!("{folder}/{name}-{seed}.wasm");
        std::fs::write(&path, module.to_bytes()).unwrap_or_else(|error| {
            eprintln!("smith: {path}: {error}");
            std::process::exit(1);
        });
    }
}
