public class CartTests
{
    [TestMethod]
    public void Adds() { }
}
