fn f() {
    let s = sum_of(&env, [a, b]);
}
