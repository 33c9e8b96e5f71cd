fn f() {
    let s = [a, b].summed(&env);
}
