class A
{
    bool F(string name)
    {
        return name == null;
    }
}
