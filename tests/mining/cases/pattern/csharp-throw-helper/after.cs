class A
{
    void F(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        G(name);
    }
}
