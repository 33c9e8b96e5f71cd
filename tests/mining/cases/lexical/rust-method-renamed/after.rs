fn f(s: &str) {
    s.trim_start();
}
