#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| opaline_tests::hostile::Target::Fdt.run(input));
